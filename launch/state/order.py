"""That a cell which diverged is to go on with other batches: a person's word, put into its folder."""

from __future__ import annotations

import getpass
import time

from gta.cellfolder import CellFolder, NewOrder, Orders


def ask(folder: CellFolder) -> None:
    """The next attempt goes on from the last good checkpoint with other batches. Asking twice is asking once.

    Raises BrokenRecord where what was asked for before cannot be read.
    """
    known = folder.orders()
    if Orders(orders=known).waiting:
        return
    asked = NewOrder(number=len(known) + 1, asked=time.time(), by=getpass.getuser())
    Orders(orders=[*known, asked]).write(folder.order_file)
