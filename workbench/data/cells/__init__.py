"""The cells of tables: values of every kind, and lists as programs print them."""
