"""Machine translation: engines behind one interface, what they gave remembered by content, their failures contained."""
