"""What people meet: settings and commands in, answers in a terminal or a browser out.

settings     what a user can set, from file, environment and command line
workbench    builds the parts of an open library from settings; nothing else does
cli          the `llavero` command
page         the page in the browser; `launch` starts its server
doctor       what is wrong with this machine, and what to do about it
wording      how names and texts of others are shown, and errors in sentences for people
"""
