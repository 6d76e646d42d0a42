"""The languages of the monitor: catalogues (gettext), plural forms, numbers, dates and lists as people write them."""
