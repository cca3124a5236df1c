"""The built-in methods: every module here whose name does not begin with an underscore is a plugin."""
