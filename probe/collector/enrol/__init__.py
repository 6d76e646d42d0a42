"""Who is a probe: the authority that gives certificates, the register of codes and names, how a name is taken back."""
