"""A bank behind mmpretrain's interface for inference."""

from typing import Any, Dict, Iterator, List, Optional, Union

import torch
from mmpretrain.apis import ImageClassificationInferencer
from mmpretrain.structures import DataSample

from ..checks import check_integer
from ..deploy.bank import KeptSubnet
from ..deploy.vocabularies import Trust
from ..files import FilePath
from .adaptive_classifier import AdaptiveClassifier


class AdaptiveInferencer(ImageClassificationInferencer):
    """An :class:`.AdaptiveClassifier` that is called as mmpretrain's
    ``ImageClassificationInferencer`` is.

    ::

        inferencer = AdaptiveInferencer('work_dirs/demo/bank')
        inferencer('image.png', flops=15)[0]['pred_class']
        inferencer('folder', batch_size=32, show_dir='predictions')

    The classifier does the work; this class only adds mmpretrain's inputs (a
    folder of images, too), data samples and drawings.

    Args:
        bank: the bank's folder, or the classifier to use, whose active subnet
            then answers.
        device: where the networks go; of a bank's folder.
        trust: packages whose registered classes the bank may name, see
            :func:`.read_bank`; of a bank's folder.

    Attributes:
        classifier (AdaptiveClassifier): what predicts, to switch and follow
            with.
        classes (tuple[str] or None): names of the classes.

    Raises:
        InputError: for a bank or a device that cannot be used.
    """

    forward_kwargs = {'kept'}

    def __init__(
        self,
        bank: Union[FilePath, AdaptiveClassifier],
        device: Union[str, torch.device] = 'cpu',
        trust: Trust = ()) -> None:
        # the base class's would build one network from a config
        self.classifier = bank if isinstance(bank, AdaptiveClassifier) else \
            AdaptiveClassifier(bank, device, trust=trust)
        self.classes = self.classifier.classes
        self.visualizer = None

    def __call__(self,
                 inputs: Any,
                 return_datasamples: bool = False,
                 batch_size: int = 1,
                 **kwargs: Any) -> List[Any]:
        """Classifies images.

        Args:
            inputs: see :meth:`.Adaptive.predict`; also the path of a folder
                of images, as text, which are taken in the order of their names.
            return_datasamples: whether to return mmpretrain's data samples.
            batch_size: how many images run at once.
            **kwargs: the most that the subnet may cost, such as ``flops=15``,
                see :meth:`.BankSelection.select`; without any, the active
                subnet of :attr:`classifier` answers. Also the arguments of the
                base class for drawing: ``show``, ``show_dir``, ``resize``,
                ``rescale_factor``, ``draw_score``, ``wait_time``.

        Returns:
            For each image ``pred_scores`` (an array of shape ``(classes, )``),
            ``pred_label``, ``pred_score`` and, if the bank has class names,
            ``pred_class``; or its data sample.

        Raises:
            InputError: for an image that cannot be read, for an argument that
                is neither a resource nor one for drawing, and if no subnet
                costs so little.
        """
        check_integer('batch_size', batch_size, 1)
        drawing = {
            name: kwargs.pop(name)
            for name in self.visualize_kwargs & set(kwargs)
        }
        kept = self.classifier.select(**kwargs) if kwargs else None
        return super().__call__(
            inputs, return_datasamples, batch_size, kept=kept, **drawing)

    def _inputs_to_list(self, inputs: Any) -> List[Any]:
        found = super()._inputs_to_list(inputs)
        # a folder's files come in no order
        is_folder = isinstance(inputs, str) and found != [inputs]
        return sorted(found) if is_folder else found

    def preprocess(self, inputs: List[Any], batch_size: int = 1) -> Iterator:
        """Batches of images; the classifier preprocesses them."""
        yield from self._get_chunk_data(inputs, batch_size)

    def forward(self,
                inputs: List[Any],
                kept: Optional[KeptSubnet] = None) -> List[DataSample]:
        """Predictions for a batch.

        Args:
            inputs: the images.
            kept: the subnet; by default the active one.
        """
        results: List[Dict[str, Any]]
        if kept is None:
            results = self.classifier.predict(inputs, len(inputs))
        else:
            results = self.classifier.run(kept, self.classifier.load(inputs))
        return [
            DataSample().set_pred_score(torch.as_tensor(
                result['pred_scores'])).set_pred_label(result['pred_label'])
            for result in results
        ]
