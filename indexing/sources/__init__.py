"""Folders that lie elsewhere: listed, and read one file at a time; nothing is ever written to them.

address → access (who one is there) → opening → s3 | webdav | imap (a `RemoteSource`: list, open)
remote    lists sources for the walk, and downloads one file at a time into a private place of the library
"""
