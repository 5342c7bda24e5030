"""The measured programs: ordinary apps, as the guide teaches them."""
