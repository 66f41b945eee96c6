"""What all routes over the store share: whose a request is, its query, and the store itself."""
