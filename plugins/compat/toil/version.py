"""The version of this package, under the names that scripts ask for."""

version = baseVersion = distVersion = "0.1.0"
cgcloudVersion = ""
