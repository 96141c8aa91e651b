"""
Clothes, shoes, hair and skins on the bodies of the Anny model. May import ``render.anny_body``.

``Wardrobe.of_model(folders, model)`` reads garments and cuts more from helper meshes;
``dressed(body, wardrobe, rng)`` returns a DressedBody: one mesh with textures, joints and weights
for any renderer. ``Garment.fitted`` gives the vertices of one garment on any body from its arrays
``ref_vidx``, ``ref_weights``, ``offsets`` and ``scale_refs``; ``BoundGarment`` adds joints,
weights and the skin that it covers. ``credits_text`` names the authors.
"""
