"""A stranger who means harm: thousands of seeded cases against every door of endogs, each in a process of its own.

`server` forks a child per case from a process that imported endogs and never drew; `sandbox` is that child; `outcome`
judges what became of it. What is tried stands in the families (`families`), one file each.
"""
