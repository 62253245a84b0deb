"""The page of `vctool app`: conversion in a browser on the same machine.

    guard.py      who may ask: host, origin, cookie; headers of every answer
    server.py     starts and ends it all: address, workers, temporary folder
    routes.py     what may be asked
    uploads.py    recordings as they come in, within their limits
    session.py    recordings and jobs, and how a page learns of changes
    jobs.py       the queue: jobs in order, one at a time
    lane.py       a worker process, seen from the server
    worker.py     the same, seen from inside
    looking.py    what one worker does: levels, pictures, mixes, lists; no torch
    converting.py what the other does: it holds the model
    static/       the page

The server process imports neither torch nor numpy. It decodes nothing: sound is touched by the
workers alone, and no path, URL or file name of a request reaches the file system.
"""
