"""The ``colibri`` command (contract 2). Each verb is a module, imported only when it is chosen."""
