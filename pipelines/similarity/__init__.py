"""Models that tell how like an image and a text are: their files, their interface, and what runs them."""
