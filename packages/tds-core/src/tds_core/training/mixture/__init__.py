"""Training of the default bundle on whole heads that lesions of other patients are mixed into.

`config` says what to do, `samples` holds patients on the network's grid, `augment` and `mixing` draw patches from them,
`source` gives them to the engine and `validation` measures whole heads.
"""
