"""Sign-in with OpenID Connect: the client of the provider, the flow of one sign-in, and the check of its token."""
