"""`python -m fairlead`."""

from fairlead.cli.app import main

if __name__ == "__main__":
    main()
