"""Django's app for Faust: ``manage.py faust``.

In Django's settings::

    INSTALLED_APPS = [..., "faust.contrib.django"]
    FAUST_APP = "myproj.streams:app"

Then ``python manage.py faust worker`` is ``faust -A myproj.streams:app worker`` with Django set up;
every other command of the ``faust`` program works likewise.  Faust does not need this:
``faust -A myproj.streams worker`` sets Django up itself where ``DJANGO_SETTINGS_MODULE`` is set.
"""
