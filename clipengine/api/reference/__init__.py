"""The OpenAPI document and the rendered manual."""
