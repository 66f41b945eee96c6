"""The service: the hosted API's grader routes, and a batch of rows, over one AsyncEngine."""
