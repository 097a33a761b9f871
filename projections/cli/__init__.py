"""The commands of the command line that ask views, or fold them."""
