"""Tables of Arrow, and the files that hold them."""

from decimal import Decimal

import numpy as np


def arrow_table():
    import pyarrow as pa

    X = np.arange(12.0).reshape(4, 3)
    return X, pa.table(
        {
            "vector": pa.array(list(X), pa.list_(pa.float32())),
            "fixed": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 3),
            "price": pa.array([Decimal("1.50")] * 4),
            "mood": ["good", "bad", "good", "bad"],
        }
    )


def write_arrow(table, path):
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet

    if path.suffix == ".parquet":
        pa.parquet.write_table(table, path)
    elif path.suffix == ".feather":  # the file format of Arrow
        pa.feather.write_feather(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table, max_chunksize=3)
    return path
