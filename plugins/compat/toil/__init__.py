"""The names that scripts written for Toil import, mapped to the public API of toil-core."""
