"""All 336,776 flights that left New York in 2013, through a real worker: ``make demo``.

``app.py`` is the application; read it first.  ``data.py`` reads the file, ``send.py`` sends it,
``found.py`` prints what was found, and ``__main__.py`` does one after the other.
"""
