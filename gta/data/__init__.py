"""Data sets as images, index masks and id lists: layout, splits, transforms, loaders, and the generated one.

`spec`, `lists`, `splits` and `prepare` import nothing heavy, so a command can check its input before it loads torch.
"""
