"""What ties Faust to other frameworks; nothing here is imported unless you do."""
