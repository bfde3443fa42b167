"""What `bley graph` draws: charts of what was counted, as pictures, and a page that shows them."""
