"""What black-box tests of `fairlead serve` are made of: real models, a server process, traffic, and its metrics."""
