"""Bytes in, bytes out: one protocol, a folder and S3. The only importer of minio."""
