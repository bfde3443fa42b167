"""`bley try`: what bley would have done with the mail in mailboxes and logs."""
