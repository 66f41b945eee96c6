"""What is wrong with a JSON schema of answers: keywords that are not what they must be, and its size.

Nothing here nests calls with the schema, so that a schema of any depth and width is looked at.
"""
