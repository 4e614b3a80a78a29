"""One part of a folder that has one folder of images for each class."""

from pathlib import Path
from typing import Any, Collection, Dict, List, Optional

from mmpretrain.datasets import BaseDataset

from ..checks import check_choice
from ..errors import InputError
from ..registry import DATASETS
from .folder_listing import list_folder
from .splitting import PARTS, split_folder


@DATASETS.register_module()
class FolderDataset(BaseDataset):
    """The training, held-out or test images of a folder of classes.

    It is mmpretrain's ``CustomDataset`` without an annotation file, but for the
    split: classes are the sorted names of the folders in ``data_root``, or in
    ``data_root/train``. :func:`.list_folder` says what a folder may look like,
    and :func:`.split_folder` how it is split. In a config with a section
    ``data``, :func:`.fill_from_data` fills in all arguments but ``part`` and
    the pipeline.

    Args:
        data_root: the folder.
        part: ``'train'``, ``'held_out'`` or ``'test'``.
        held_out, test, seed, skipped: as for :func:`.split_folder`.
        digest: of the split that is expected; ``None`` accepts any.
        **kwargs: as for mmpretrain's ``BaseDataset``.

    Raises:
        InputError: if the folder cannot be used, or was split differently when
            ``digest`` was computed, since training images may then be tested.
    """

    def __init__(self,
                 data_root: str,
                 part: str,
                 held_out: float = 0.1,
                 test: float = 0.1,
                 seed: int = 0,
                 skipped: Collection[str] = (),
                 digest: Optional[str] = None,
                 **kwargs: Any) -> None:
        check_choice('part', part, PARTS)
        self.part = part
        self.split: Dict[str, Any] = dict(
            held_out=held_out, test=test, seed=seed, skipped=skipped)
        self.digest = digest
        super().__init__(ann_file='', data_root=data_root, **kwargs)

    def load_data_list(self) -> List[Dict[str, Any]]:
        """Lists the part's images: ``img_path`` and ``gt_label`` of each."""
        where = f'data_root={self.data_root!r}'
        listing = list_folder(self.data_root)
        split = split_folder(listing, **self.split)
        problems = [*listing.problems, *split.problems]
        if problems:
            raise InputError(f'{where}: {"; ".join(problems)}')
        if self.digest not in (None, split.digest):
            raise InputError(
                f'data.digest={self.digest!r}: the files in {self.data_root} '
                f'have {split.digest!r}; expected the same names and shares as '
                'when the config was written, or else images that trained '
                'could be tested. None splits anew')
        self._metainfo['classes'] = listing.classes
        root = Path(self.data_root).expanduser()
        return [
            dict(img_path=str(root / path), gt_label=label)
            for path, label in split.images[self.part]
        ]
