å


NoOp"serve*2.16.18÷

xPlaceholder
=
dense/kernelVarHandleOp*
dtype0*
shape
:
7

dense/biasVarHandleOp*
dtype0*
shape:f
.

__inference__traced_save_9
nodeSaveV2
4

__inference__traced_restore_9
node	RestoreV2"Ú/
saver_filename:0StatefulPartitionedCall_282
	
Const:0vocabulary.txt