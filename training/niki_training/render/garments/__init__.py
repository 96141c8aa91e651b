"""Clothes, shoes, hair and skins on the bodies of the Anny model."""
