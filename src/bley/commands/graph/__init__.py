"""`bley graph`: pictures of what bley did, and a page that shows them."""
