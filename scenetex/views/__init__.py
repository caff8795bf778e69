"""Choose keyframes and see the mesh from them: depth, normals, face ids."""
