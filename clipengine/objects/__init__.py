"""The API's objects, each declared once: the server shows them, the OpenAPI document describes them, the client parses.

An object that the client returns is a dataclass. JSON inside of it, and objects that only the document names, are typed
dicts. Their fields are in the order of the JSON.
"""
