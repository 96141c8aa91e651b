"""From a crop of an image to the motion parameters of a person, through the kinematic layer."""
