# mmdet's Faster R-CNN on COCO over one subnet; configs add the backbone
_base_ = ['mmdet::_base_/models/faster-rcnn_r50_fpn.py', 'coco_fixed.py']

model = dict(backbone=dict(_delete_=True, norm_eval=True))
