"""Object storage behind one protocol: a folder or S3. The only package that imports minio."""
