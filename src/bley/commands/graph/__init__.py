"""`bley graph`: draw charts of the statistics, and a page that shows them."""
