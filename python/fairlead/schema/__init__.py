"""Every document of Fairlead and its defaults. Pure: nothing here reads a file by itself, a clock or the network."""
