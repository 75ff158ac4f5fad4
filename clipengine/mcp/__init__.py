"""The engine as tools of an agent (Model Context Protocol). The only package that imports `mcp`, an extra."""
