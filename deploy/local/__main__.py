"""`python -m deploy.local`: the same as `tendril up`."""

from deploy.local.up import main

if __name__ == "__main__":
    main()
