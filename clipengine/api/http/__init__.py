"""Request plumbing: authentication, validation, errors and shared models."""
