"""What a run will take, before it begins: costs, places to run, the day it is finished."""
