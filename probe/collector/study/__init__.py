"""The periodic study of a country: its operators compared over a month, with what can't be said."""
