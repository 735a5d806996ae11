"""What ./dev is made of beside the script itself: nothing but the standard library."""
