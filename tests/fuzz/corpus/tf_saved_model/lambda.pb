ˆ


NoOp"serve*2.16.18}
=
dense/kernelVarHandleOp*
dtype0*
shape
:
7

dense/biasVarHandleOp*
dtype0*
shape:"Ú:j
h"f
_tf_keras_layerS{"name": "l", "class_name": "Lambda", "config": {"function": ["4wEA", null, null]}}