"""A reader for each data set, and what readers share.

To add a data set, write a module here with a function `read(path: Path | None) -> RawDataset`,
and add a line with its name to READERS in `training.datasets.prepare`. `london` is the shortest
example; `RawDataset` and `PictureRecord` in `training.datasets.source` say what a reader may
return. Readers share:

- `archives`: files of a set, in a folder or in a zip that isn't unpacked (`zips`, `zip_names`).
- `csv_tables`: tables, each row used or refused with its line. `parquet_tables`: Parquet files.
- `class_folders`, `published_splits`: pictures in folders of classes, below folders of splits.
- `name_codes`: sets whose pictures' names say person and emotion.
- `label_rows`: rows of a label list; those that can't be used are counted, with reasons.
- `label_maps`: codes and words of other sets -> index into EMOTIONS.
- `training.datasets.splits`: lists and draws of validation and test.
"""
